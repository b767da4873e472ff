package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// The public reference is held to the code: its examples are decoded and
// encoded again, and whatever the package declares has a place on it.

const reference = "../docs/protocol.md"

// example is one JSON value of a fenced block.
type example struct {
	line int
	from string // client, server or http: the block's second word
	text json.RawMessage
}

func examples(t *testing.T) []example {
	t.Helper()
	page, err := os.ReadFile(reference)
	require.NoError(t, err)
	var all []example
	var block []string
	from, start := "", 0
	for i, line := range strings.Split(string(page), "\n") {
		switch {
		case start == 0 && strings.HasPrefix(line, "```"):
			start, block = i+1, nil
			if words := strings.Fields(strings.TrimPrefix(line, "```")); len(words) > 0 && words[0] == "json" {
				require.Len(t, words, 2, "line %d: a JSON example is of the client, the server or http", start)
				require.Contains(t, []string{"client", "server", "http"}, words[1], "line %d", start)
				from = words[1]
			}
		case start > 0 && line == "```":
			d := json.NewDecoder(strings.NewReader(strings.Join(block, "\n")))
			for from != "" {
				var text json.RawMessage
				if err := d.Decode(&text); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("block of line %d: %v", start, err)
				}
				all = append(all, example{start, from, text})
			}
			from, start = "", 0
		case start > 0:
			block = append(block, line)
		}
	}
	require.Zero(t, start, "an open block")
	return all
}

func TestExamplesOfTheReferenceAreTrue(t *testing.T) {
	for _, e := range examples(t) {
		t.Run(fmt.Sprintf("line %d", e.line), func(t *testing.T) {
			var again []byte
			switch e.from {
			case "client":
				c, err := Decode(e.text)
				require.Nil(t, err, "%s", e.text)
				again = c.AppendJSON(nil)
			case "server":
				m, err := DecodeMessage(e.text)
				require.NoError(t, err, "%s", e.text)
				require.NotNil(t, m, "%s is of no known type", e.text)
				again = m.AppendJSON(nil)
			default:
				again = e.text // HTTP's are not this package's
			}
			var want, got any
			require.NoError(t, json.Unmarshal(e.text, &want))
			require.NoError(t, json.Unmarshal(again, &got))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-page +code):\n%s", diff)
			}
		})
	}
}

func TestTheReferenceHasEveryType(t *testing.T) {
	shown := map[string]bool{}
	for _, e := range examples(t) {
		var head struct {
			Type string `json:"type"`
		}
		require.NoError(t, json.Unmarshal(e.text, &head))
		switch e.from {
		case "client":
			c, err := Decode(e.text)
			require.Nil(t, err)
			shown[fmt.Sprintf("%T %s", c, head.Type)] = true
		case "server":
			m, err := DecodeMessage(e.text)
			require.NoError(t, err)
			shown[fmt.Sprintf("%T %s", m, head.Type)] = true
		}
	}
	types := 0
	for _, f := range sources(t) {
		for receiver, kind := range begins(f) {
			types++
			require.True(t, shown["*protocol."+receiver+" "+kind], "%s has no example of %q (%s)", reference, kind, receiver)
		}
	}
	require.Equal(t, len(shown), types)
}

func TestTheReferenceHasEveryCode(t *testing.T) {
	page, err := os.ReadFile(reference)
	require.NoError(t, err)
	declared := map[string][]string{}
	for _, f := range sources(t) {
		for name, values := range constants(f) {
			declared[name] = append(declared[name], values...)
		}
	}
	for name, least := range map[string]int{"Reason": 14, "ErrorCode": 11, "CloseCode": 18, "State": 4, "Mode": 3} {
		require.GreaterOrEqual(t, len(declared[name]), least, name)
	}
	for name, values := range declared {
		for _, v := range values {
			row := "\n| `" + v + "` |"
			switch name {
			case "CloseCode":
				row = "\n| " + v + " |"
			case "Mode":
				row = "`" + v + "`"
			}
			require.True(t, bytes.Contains(page, []byte(row)), "%s has no row for %s %s", reference, name, v)
		}
	}
	// The lists that tables and metrics are made from leave nothing out.
	require.ElementsMatch(t, declared["Reason"], texts(Reasons))
	require.ElementsMatch(t, declared["ErrorCode"], texts(ErrorCodes))
}

func texts[T ~string](list []T) []string {
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = string(v)
	}
	return all
}

// sources are the package's files, without tests.
func sources(t *testing.T) []*ast.File {
	t.Helper()
	names, err := fs.Glob(os.DirFS("."), "*.go")
	require.NoError(t, err)
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}

// begins finds the methods that call begin(b, type): receiver to type.
func begins(f *ast.File) map[string]string {
	found := map[string]string{}
	for _, d := range f.Decls {
		m, ok := d.(*ast.FuncDecl)
		if !ok || m.Recv == nil {
			continue
		}
		ast.Inspect(m.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 2 {
				return true
			}
			if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "begin" {
				kind, _ := strconv.Unquote(call.Args[1].(*ast.BasicLit).Value)
				found[m.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name] = kind
			}
			return true
		})
	}
	return found
}

// constants finds the typed constants with literal values: type to values.
func constants(f *ast.File) map[string][]string {
	found := map[string][]string{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			name, ok := v.Type.(*ast.Ident)
			if !ok || !ast.IsExported(name.Name) {
				continue
			}
			for _, value := range v.Values {
				text := value.(*ast.BasicLit).Value
				if unquoted, err := strconv.Unquote(text); err == nil {
					text = unquoted
				}
				found[name.Name] = append(found[name.Name], text)
			}
		}
	}
	return found
}
