package updates

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

// semantic is a version of https://semver.org, with or without "v".
var semantic = regexp.MustCompile(`^v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$`)

// described is what git describe adds for commits after a tag, and for changes that are not committed.
var described = regexp.MustCompile(`(-\d+-g[0-9a-f]{7,40})?(-dirty)?$`)

type version struct {
	numbers [3]int
	before  string // what makes it a pre-release: "rc.1"; "" for a release
}

func parseVersion(text string) (v version, ok bool) {
	m := semantic.FindStringSubmatch(described.ReplaceAllString(text, ""))
	if m == nil {
		return v, false
	}
	for i := range v.numbers {
		v.numbers[i], _ = strconv.Atoi(m[i+1])
	}
	v.before = m[4]
	return v, true
}

// Newer reports whether one version is newer than another. What is not a version, such as a commit, is
// neither newer nor older; a build of commits after a tag counts as the tag's.
func Newer(offered, than string) bool {
	a, ok := parseVersion(offered)
	b, known := parseVersion(than)
	return ok && known && a.compare(b) > 0
}

// compare follows semver.org, section 11.
func (v version) compare(w version) int {
	for i := range v.numbers {
		if c := cmp.Compare(v.numbers[i], w.numbers[i]); c != 0 {
			return c
		}
	}
	switch {
	case v.before == w.before:
		return 0
	case v.before == "":
		return 1
	case w.before == "":
		return -1
	}
	a, b := strings.Split(v.before, "."), strings.Split(w.before, ".")
	for i := range min(len(a), len(b)) {
		if c := compareIdentifiers(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// compareIdentifiers has numbers before words.
func compareIdentifiers(a, b string) int {
	x, errA := strconv.Atoi(a)
	y, errB := strconv.Atoi(b)
	switch {
	case errA == nil && errB == nil:
		return cmp.Compare(x, y)
	case errA == nil:
		return -1
	case errB == nil:
		return 1
	}
	return strings.Compare(a, b)
}
