package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// problem is something that is wrong with a Config, and where in the file it was set: in
// the table with this name and index ("" is the top of the file), at this key ("" means
// the whole table).
type problem struct {
	table string
	index int
	key   string
	text  string
}

// block is a table of a TOML text: its header line and everything up to the next header.
// The first block of a text is its top, which has no header.
type block struct {
	table  string
	index  int            // counts the blocks with the same name
	header int            // offset of the start of the header line; 0 for the top
	name   int            // offset of the name in the header
	keys   map[string]int // offsets of its keys
}

// blocksOf finds the tables of a text that must be valid TOML.
func blocksOf(data []byte) []block {
	blocks := []block{{keys: map[string]int{}}}
	counts := map[string]int{}
	var p unstable.Parser
	p.Reset(data)
	for p.NextExpression() {
		e := p.Expression()
		name, offset := keyPath(e)
		if e.Kind == unstable.KeyValue {
			first, _, _ := strings.Cut(name, ".")
			blocks[len(blocks)-1].keys[first] = offset
			continue
		}
		if e.Kind != unstable.Table && e.Kind != unstable.ArrayTable {
			continue
		}
		start := bytes.LastIndexByte(data[:offset], '\n') + 1
		blocks = append(blocks, block{name, counts[name], start, offset, map[string]int{}})
		counts[name]++
	}
	return blocks
}

// keyPath returns an expression's key, with its parts joined by dots, and its offset in the
// text. It is in lower case, since the case of keys does not matter.
func keyPath(e *unstable.Node) (string, int) {
	var parts []string
	offset := -1
	if e.Kind == unstable.KeyValue || e.Kind == unstable.Table || e.Kind == unstable.ArrayTable {
		for it := e.Key(); it.Next(); {
			if offset < 0 {
				offset = int(it.Node().Raw.Offset)
			}
			parts = append(parts, strings.ToLower(string(it.Node().Data)))
		}
	}
	return strings.Join(parts, "."), offset
}

// locate turns problems into an error that names the place of each in the file.
func locate(path string, data []byte, found []problem) error {
	blocks := blocksOf(data)
	errs := make([]error, len(found))
	for i, p := range found {
		errs[i] = fmt.Errorf("%s: %s", path, p.text)
		if offset, ok := p.offset(blocks); ok {
			line := bytes.Count(data[:offset], []byte("\n")) + 1
			column := offset - bytes.LastIndexByte(data[:offset], '\n')
			errs[i] = fmt.Errorf("%s:%d:%d: %s", path, line, column, p.text)
		}
	}
	return errors.Join(shorten(errs)...)
}

// offset returns where the problem's key was set, or else where its table starts. It is
// not ok if the file does not contain it, because the value is a default.
func (p problem) offset(blocks []block) (int, bool) {
	for _, b := range blocks {
		if b.table != p.table || b.index != p.index {
			continue
		}
		if at, ok := b.keys[p.key]; ok {
			return at, true
		}
		return b.name, b.table != ""
	}
	at, ok := blocks[0].keys[p.table] // account = [{...}]
	return at, ok
}

// nearest returns the known word that was probably meant, or "".
func nearest(word string, known []string) string {
	best, most := "", max(1, min(3, len(word)/3))
	for _, k := range known {
		if d := distance(strings.ToLower(word), k); d <= most {
			best, most = k, d-1
		}
	}
	return best
}

// distance returns how many letters must be inserted, deleted or replaced to turn a into b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
