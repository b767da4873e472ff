package sockjs

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"html"
	"net/http"
	"strings"
)

// scriptName is where our own script for the iframe page is, below the prefix.
const scriptName = "iframe.js"

//go:embed iframe.js
var ownScript []byte

// iframePage is the page through which pages of other origins talk to us where
// their browser does not let them do it directly, and its ETag. The protocol
// fixes its text.
func iframePage(prefix, clientURL string) (page []byte, etag string) {
	if clientURL == "" {
		clientURL = prefix + "/" + scriptName + "?" + digest(ownScript)
	}
	page = []byte(`<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="` + html.EscapeString(clientURL) + `"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>`)
	return page, `"` + digest(page) + `"`
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// ancestors says which pages may embed the iframe page: what it does for them
// has our own origin.
func ancestors(sources []string) string {
	return "frame-ancestors " + strings.Join(sources, " ")
}

func (svc *Service) iframe(w http.ResponseWriter, r *http.Request, _ place) {
	w.Header().Set("ETag", svc.etag)
	cached(w)
	if r.Header.Get("If-None-Match") == svc.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.Header().Set("Content-Security-Policy", ancestors(svc.o.Origins.Sources()))
	_, _ = w.Write(svc.page)
}

func (svc *Service) script(w http.ResponseWriter, _ *http.Request, _ place) {
	cached(w)
	w.Header().Set("Content-Type", "text/javascript; charset=UTF-8")
	_, _ = w.Write(ownScript)
}
