package app

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"rollcall/internal/logs"
)

// mayChange lets a call pass that changes things, or that tells what not
// everybody may know: from loopback, or with a bearer key of the configuration.
// It answers the rest.
//
// A browser on this machine is on loopback, too: a page of another origin is
// refused, and loopback is only believed where the request was sent to a
// loopback name and did not come through a proxy.
func (a *App) mayChange(w http.ResponseWriter, r *http.Request) bool {
	if !a.origins.Allows(r) {
		return a.refuseCall(w, r, http.StatusForbidden, "forbidden", "pages of this origin may not call the API")
	}
	if auth := r.Header.Get("Authorization"); auth != "" {
		if a.knows(auth) {
			return true
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="rollcall"`)
		return a.refuseCall(w, r, http.StatusUnauthorized, "unauthorized", "this is not a key of the server")
	}
	if fromHere(r) {
		return true
	}
	if len(a.cfg.API.Keys) == 0 {
		return a.refuseCall(w, r, http.StatusForbidden, "forbidden", "this call is taken from loopback only: no api.keys are configured")
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="rollcall"`)
	return a.refuseCall(w, r, http.StatusUnauthorized, "unauthorized", "this call needs a bearer key")
}

func (a *App) refuseCall(w http.ResponseWriter, r *http.Request, status int, code, detail string) bool {
	a.log.Info(logs.APIRefused, logs.Fields{"remote_ip": remoteIP(r), "status": status, "reason": code})
	problem(w, status, code, detail)
	return false
}

// knows compares a bearer key with every key there is, in time that depends
// neither on where they differ nor on which it is.
func (a *App) knows(authorization string) bool {
	scheme, key, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	given, known := sha256.Sum256([]byte(key)), 0
	for _, k := range a.cfg.API.Keys {
		want := sha256.Sum256([]byte(k))
		known |= subtle.ConstantTimeCompare(given[:], want[:])
	}
	return known == 1
}

// fromHere reports whether a request comes from this machine, for all that can
// be told.
func fromHere(r *http.Request) bool {
	for _, proxied := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(proxied) != "" {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback() && loopbackName(r.Host)
}

func loopbackName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
