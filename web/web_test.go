package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func ask(t *testing.T, method, target string, header map[string]string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

func TestServesThePagesAndWhatTheyReferTo(t *testing.T) {
	for _, at := range []string{"/?room=lobby&name=Kim", "/stomp.html?room=lobby&name=Kim"} {
		page := ask(t, "GET", at, nil)
		require.Equal(t, http.StatusOK, page.StatusCode)
		require.Equal(t, "text/html; charset=utf-8", page.Header.Get("Content-Type"))

		html := body(t, page)
		for _, ref := range references(html) {
			require.Equal(t, http.StatusOK, ask(t, "GET", ref, nil).StatusCode, "%s refers to %s", at, ref)
		}
		require.NotRegexp(t, `<style|style=|<script>|\son[a-z]+=`, html, "the policy forbids inline code and style")
		require.NotContains(t, html, "//", "nothing from elsewhere")
	}
}

// references are the addresses that a page loads or links to.
func references(html string) []string {
	var found []string
	for _, ref := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		found = append(found, ref[1])
	}
	return found
}

func TestContentTypes(t *testing.T) {
	for path, want := range map[string]string{
		"/assets/app.js":    "text/javascript; charset=utf-8",
		"/assets/app.css":   "text/css; charset=utf-8",
		"/assets/ticker.js": "text/javascript; charset=utf-8",
		"/assets/icon.svg":  "image/svg+xml",

		"/assets/third-party.txt": "text/plain; charset=utf-8",
	} {
		require.Equal(t, want, ask(t, "GET", path, nil).Header.Get("Content-Type"), path)
	}
}

func TestPolicy(t *testing.T) {
	h := ask(t, "GET", "/", nil).Header
	csp := h.Get("Content-Security-Policy")
	for _, want := range []string{
		"default-src 'none'", "script-src 'self'", "worker-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'",
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types ticker",
	} {
		require.Contains(t, csp, want)
	}
	require.NotContains(t, csp, "unsafe")
	require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
	require.Equal(t, "no-referrer", h.Get("Referrer-Policy"))
}

func TestServesNothingElse(t *testing.T) {
	for _, path := range []string{"/index.html", "/assets/", "/assets/none.js", "/dist/index.html", "/web.go", "/healthz"} {
		require.Equal(t, http.StatusNotFound, ask(t, "GET", path, nil).StatusCode, path)
	}
	post := ask(t, "POST", "/", nil)
	require.Equal(t, http.StatusMethodNotAllowed, post.StatusCode)
	require.Equal(t, "GET, HEAD", post.Header.Get("Allow"))
}

func TestUnchangedIsNotSentAgain(t *testing.T) {
	etag := ask(t, "GET", "/assets/app.js", nil).Header.Get("ETag")
	require.Regexp(t, `^"[0-9a-f]{24}"$`, etag)
	for _, tc := range []struct {
		story, ifNoneMatch string
		want               int
	}{
		{"the same", etag, http.StatusNotModified},
		{"weakened by a proxy", "W/" + etag, http.StatusNotModified},
		{"one of several", `"a", ` + etag, http.StatusNotModified},
		{"any will do", "*", http.StatusNotModified},
		{"an older one", `"a"`, http.StatusOK},
		{"none", "", http.StatusOK},
	} {
		r := ask(t, "GET", "/assets/app.js", map[string]string{"If-None-Match": tc.ifNoneMatch})
		require.Equal(t, tc.want, r.StatusCode, tc.story)
		require.Equal(t, etag, r.Header.Get("ETag"), tc.story)
		require.Equal(t, tc.want == http.StatusNotModified, body(t, r) == "", tc.story)
	}
}

func TestGzip(t *testing.T) {
	plain := ask(t, "GET", "/assets/app.css", nil)
	want := body(t, plain)
	for _, tc := range []struct {
		accept string
		gzip   bool
	}{
		{"gzip, deflate, br, zstd", true},
		{"br, GZIP;q=0.5", true},
		{"gzip;q=0", false},
		{"gzip; q=0.000", false},
		{"gzip;q=nonsense", false},
		{"gzipped", false},
		{"", false},
	} {
		r := ask(t, "GET", "/assets/app.css", map[string]string{"Accept-Encoding": tc.accept})
		require.Equal(t, "Accept-Encoding", r.Header.Get("Vary"))
		got := body(t, r)
		require.EqualValues(t, len(got), r.ContentLength, tc.accept)
		if !tc.gzip {
			require.Empty(t, r.Header.Get("Content-Encoding"), tc.accept)
			require.Equal(t, want, got, tc.accept)
			continue
		}
		require.Equal(t, "gzip", r.Header.Get("Content-Encoding"), tc.accept)
		require.NotEqual(t, plain.Header.Get("ETag"), r.Header.Get("ETag"), "two sets of bytes are two entities")
		z, err := gzip.NewReader(bytes.NewReader([]byte(got)))
		require.NoError(t, err)
		unzipped, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Equal(t, want, string(unzipped))
	}
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	r := ask(t, "HEAD", "/", nil)
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Positive(t, r.ContentLength)
	require.Empty(t, body(t, r))
}

func TestUnknownKindOfFileIsRefusedAtStart(t *testing.T) {
	_, err := load(fstest.MapFS{"dist/app.wasm": {}})
	require.ErrorContains(t, err, "app.wasm: no content type")
}

func TestThePagesAreSmall(t *testing.T) {
	for page, most := range map[string]int{"/": 32 << 10, "/stomp.html": 64 << 10} {
		files := append(references(body(t, ask(t, "GET", page, nil))), page)
		if page == "/" {
			files = append(files, "/assets/ticker.js")
		}
		total := 0
		for _, file := range files {
			total += len(assets()[file].gzip.body)
		}
		require.Less(t, total, most, "bytes of all of %s on the wire", page)
	}
}
