package oauth

import (
	"cmp"
	"fmt"
	"slices"
)

// Codes are the codes by which providers give this reason: the values of "error" and the like, in
// alphabetical order, and then Microsoft's AADSTS codes by number. Some reasons have none: they are
// known by a description's words, or found by Waxseal itself.
func (r Reason) Codes() []string {
	var words []string
	for _, table := range []map[string]Reason{general, codes} {
		for code, reason := range table {
			if reason == r {
				words = append(words, code)
			}
		}
	}
	slices.Sort(words)
	var numbers []int
	for n, reason := range aadsts {
		if reason == r {
			numbers = append(numbers, n)
		}
	}
	slices.SortFunc(numbers, cmp.Compare[int])
	for _, n := range numbers {
		words = append(words, fmt.Sprintf("AADSTS%d", n))
	}
	return words
}
