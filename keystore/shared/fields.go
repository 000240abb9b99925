package shared

import (
	"encoding/json"
	"reflect"
	"strings"
)

// merge encodes v as a JSON object and adds the fields of old that v's type does not know.
func merge(old []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil || old == nil {
		return text, err
	}
	var was, now map[string]json.RawMessage
	if json.Unmarshal(old, &was) != nil {
		return text, nil
	}
	if err := json.Unmarshal(text, &now); err != nil {
		return nil, err
	}
	known := fieldsOf(v)
	for name, value := range was {
		if !known[strings.ToLower(name)] {
			now[name] = value
		}
	}
	return json.Marshal(now)
}

// fieldsOf are the names, in small letters, that a struct's fields have in JSON.
func fieldsOf(v any) map[string]bool {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	names := make(map[string]bool)
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		names[strings.ToLower(name)] = true
	}
	return names
}
