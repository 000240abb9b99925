package api

import (
	"encoding/json"
	"strings"
)

// Text is a sentence for people, kept as data so that it can be shown in any language: the
// English sentence, which is also its key in translations, and the values of its places,
// which are written {{.Name}}. Values are never translated: they are names, addresses,
// numbers and other servers' own words.
type Text struct {
	Key    string
	Values map[string]string // nil if the sentence has no places
}

// Say makes a Text; pairs are the names and values of its places.
func Say(key string, pairs ...string) Text {
	t := Text{Key: key}
	for i := 0; i+1 < len(pairs); i += 2 {
		if t.Values == nil {
			t.Values = make(map[string]string, len(pairs)/2)
		}
		t.Values[pairs[i]] = pairs[i+1]
	}
	return t
}

// String is the sentence in English.
func (t Text) String() string { return t.Fill(t.Key) }

// Fill puts the values into the places of a sentence, such as a translation of Key.
func (t Text) Fill(sentence string) string {
	if len(t.Values) == 0 {
		return sentence
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(sentence, "{{.")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}}")
		if !closed {
			b.WriteString("{{." + rest)
			return b.String()
		}
		b.WriteString(t.Values[name])
		sentence = after
	}
}

// IsZero reports whether there is nothing to say.
func (t Text) IsZero() bool { return t.Key == "" }

// textJSON also has the English sentence, for programs that read the JSON without
// translations.
type textJSON struct {
	Text   string            `json:"text"`
	Key    string            `json:"key,omitempty"` // "" if it is the text
	Values map[string]string `json:"values,omitempty"`
}

// MarshalJSON writes {"text": ..., "key": ..., "values": {...}}.
func (t Text) MarshalJSON() ([]byte, error) {
	j := textJSON{Text: t.String(), Values: t.Values}
	if j.Text != t.Key {
		j.Key = t.Key
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Text) UnmarshalJSON(data []byte) error {
	var j textJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*t = Text{Key: j.Key, Values: j.Values}
	if t.Key == "" {
		t.Key = j.Text
	}
	return nil
}
