// Package web is the pages that people see, the chat and the chat through STOMP:
// built from src, index.html and stomp.html by build.sh, committed in dist, and embedded.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:generate sh build.sh

//go:embed dist
var dist embed.FS

// policy lets a page load its own script, style and icon and talk to its own
// server (connect-src 'self' covers ws and wss of the same origin, CSP Level 3
// §6.7.2.8), and nothing else: no inline code, no markup made from strings, no
// frame around it. The worker is the one script that the page's own code starts:
// the Trusted Types policy ticker allows that one alone.
const policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types ticker"

// contentTypes are spelled out: what mime knows depends on the machine.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// asset is one file of the pages, ready to be sent.
type asset struct {
	contentType string
	plain, gzip variant
}

type variant struct {
	body []byte
	etag string // strong, of these bytes
}

var assets = sync.OnceValue(func() map[string]asset {
	found, err := load(dist)
	if err != nil {
		panic("web: " + err.Error()) // the files are part of the binary: it was built wrong
	}
	return found
})

// Handler serves the chat on /, the chat through STOMP on /stomp.html, and their files under /assets/ to GET and HEAD,
// and answers 404 on any other path: it can be the last that a router asks.
// Every answer has a strong ETag; browsers keep the files and ask each time
// whether they changed, so a new server never meets an old script.
func Handler() http.Handler {
	files := assets()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		a.serve(w, r)
	})
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")

	v := a.plain
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		v = a.gzip
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", v.etag)
	if matches(r.Header.Get("If-None-Match"), v.etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(v.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(v.body) // when it fails, the client has gone
	}
}

// load reads the files under dist in files: index.html is "/", all others
// keep their path.
func load(files fs.FS) (map[string]asset, error) {
	found := make(map[string]asset)
	err := fs.WalkDir(files, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		contentType, ok := contentTypes[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s: no content type for it", name)
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		at := strings.TrimPrefix(name, "dist")
		if at == "/index.html" {
			at = "/"
		}
		found[at] = asset{contentType, newVariant(body), newVariant(compress(body))}
		return nil
	})
	return found, err
}

func newVariant(body []byte) variant {
	sum := sha256.Sum256(body)
	return variant{body, `"` + hex.EncodeToString(sum[:12]) + `"`}
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // only a bad level fails
	_, _ = z.Write(body)                                  // a Buffer takes all
	_ = z.Close()
	return b.Bytes()
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3) as far as it concerns
// gzip: named, and not with weight zero.
func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		weight, ok := strings.CutPrefix(strings.TrimSpace(params), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return !ok || err == nil && q > 0
	}
	return false
}

// matches reads If-None-Match (RFC 9110 §13.1.2), which compares weakly.
func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}
