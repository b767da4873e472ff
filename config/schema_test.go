package config

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSchemaAgreesWithTheLoader(t *testing.T) {
	raw, err := Schema()
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, json.Unmarshal(raw, &schema))

	t.Run("of each setting", func(t *testing.T) {
		for k := range knobs() {
			property := schema
			for part := range strings.SplitSeq(k.path, ".") {
				properties, ok := property["properties"].(map[string]any)
				require.True(t, ok, k.path)
				property, ok = properties[part].(map[string]any)
				require.True(t, ok, k.path)
			}
			require.NoError(t, conforms(property, property["default"]), "the default of %s", k.path)
			require.Contains(t, property["description"], k.does)
			require.Equal(t, k.secret, property["writeOnly"] == true, k.path)
		}
	})
	for _, c := range []struct {
		file string // JSON, which is YAML too
		fine bool
	}{
		{`{}`, true},
		{`{"session": null, "log": {}}`, true},
		{`{"listen": ":80", "origins": ["*"], "drain": 0, "session": {"idle_after": "1m30s", "disconnect_after": 0}}`, true},
		{`{"limits": {"message_bytes": 2048, "outbound_bytes": "1 MiB", "publish_rate": 0, "update_rate": 0.5, "connections": 0}}`, true},
		{`{"tls": {"cert": "c", "key": "k"}, "api": {"keys": ["0123456789abcdef"]}, "log": {"format": "json"}}`, true},
		{`{"lisen": ":80"}`, false},
		{`{"session": {"idle": "1m"}}`, false},
		{`{"session": {"idle_after": 60}}`, false},
		{`{"session": {"idle_after": "1 m"}}`, false},
		{`{"session": []}`, false},
		{`{"origins": "*"}`, false},
		{`{"origins": [null]}`, false},
		{`{"limits": {"message_bytes": 1}}`, false},
		{`{"limits": {"message_bytes": "64KB"}}`, false},
		{`{"limits": {"connections": -1}}`, false},
		{`{"limits": {"publish_rate": 0.00001}}`, false},
		{`{"limits": {"rooms": 0}}`, false},
		{`{"log": {"format": "xml"}}`, false},
		{`{"auth": {"mode": "jwt"}}`, false},
	} {
		t.Run(c.file, func(t *testing.T) {
			var value any
			require.NoError(t, json.Unmarshal([]byte(c.file), &value))
			schemaSays, loaderSays := conforms(schema, value), problemsOf(Sources{File: writeFile(t, c.file)})
			require.Equal(t, c.fine, schemaSays == nil, "schema: %v", schemaSays)
			require.Equal(t, c.fine, loaderSays == nil, "loader: %v", loaderSays)
		})
	}
	t.Run("what config print prints", func(t *testing.T) {
		value := map[string]any{}
		c := Default()
		for k := range knobs() {
			level := value
			if section, _, nested := strings.Cut(k.path, "."); nested {
				if level[section] == nil {
					level[section] = map[string]any{}
				}
				level = level[section].(map[string]any)
			}
			switch v := k.get(&c).(type) {
			case []string:
				level[k.key()] = []any{}
			case float64:
				level[k.key()] = v
			case int:
				level[k.key()] = float64(v)
			case time.Duration:
				level[k.key()] = formatDuration(v)
				if v == 0 {
					level[k.key()] = 0.0
				}
			default:
				level[k.key()] = v
			}
		}
		require.NoError(t, conforms(schema, value))
	})
}

// conforms is the part of JSON Schema 2020-12 that our schema uses. Numbers are
// float64, as encoding/json has them.
func conforms(schema map[string]any, value any) error {
	for keyword, rule := range schema {
		if err := obeys(keyword, rule, schema, value); err != nil {
			return err
		}
	}
	return nil
}

func obeys(keyword string, rule any, schema map[string]any, value any) error {
	number, isNumber := value.(float64)
	text, isText := value.(string)
	broken := fmt.Errorf("%v breaks %s: %v", value, keyword, rule)
	switch keyword {
	case "$schema", "title", "description", "default", "writeOnly":
		return nil
	case "type":
		kinds, several := rule.([]any)
		if !several {
			kinds = []any{rule}
		}
		if !slices.ContainsFunc(kinds, func(kind any) bool { return isA(kind, value) }) {
			return broken
		}
	case "const":
		if !reflect.DeepEqual(rule, value) {
			return broken
		}
	case "enum":
		if !slices.Contains(rule.([]any), value) {
			return broken
		}
	case "minimum":
		if isNumber && number < rule.(float64) {
			return broken
		}
	case "maximum":
		if isNumber && number > rule.(float64) {
			return broken
		}
	case "pattern":
		if isText && !regexp.MustCompile(rule.(string)).MatchString(text) {
			return broken
		}
	case "anyOf":
		if !slices.ContainsFunc(rule.([]any), func(form any) bool { return conforms(form.(map[string]any), value) == nil }) {
			return broken
		}
	case "items":
		list, _ := value.([]any)
		for _, item := range list {
			if err := conforms(rule.(map[string]any), item); err != nil {
				return err
			}
		}
	case "properties":
		object, _ := value.(map[string]any)
		for name, item := range object {
			if property, known := rule.(map[string]any)[name].(map[string]any); known {
				if err := conforms(property, item); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	case "additionalProperties":
		object, _ := value.(map[string]any)
		for name := range object {
			if schema["properties"].(map[string]any)[name] == nil {
				return fmt.Errorf("%s is no property", name)
			}
		}
	default:
		return fmt.Errorf("keyword %s is not checked here", keyword)
	}
	return nil
}

func isA(kind, value any) bool {
	switch v := value.(type) {
	case nil:
		return kind == "null"
	case string:
		return kind == "string"
	case []any:
		return kind == "array"
	case map[string]any:
		return kind == "object"
	case float64:
		return kind == "number" || kind == "integer" && v == math.Trunc(v)
	}
	return false
}
