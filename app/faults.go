//go:build faults

package app

import (
	"context"
	"net/http"
	"strings"

	"rollcall/actors"
)

// inject answers the calls of a server that was built to be broken (build tag
// faults): POST from this machine,
//
//	/debug/faults/panic?room=&session=          a panic in that session's actor, or the room's
//	/debug/faults/corrupt?kind=&room=&session=  state that contradicts itself, see actors.Corruption
//
// 204: done, or on its way. It reports false for other addresses.
func (a *App) inject(w http.ResponseWriter, r *http.Request, path string) bool {
	what, ours := strings.CutPrefix(path, "/debug/faults/")
	if !ours {
		return false
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	c, q := &call{app: a, w: w, r: r}, r.URL.Query()
	switch {
	case !fromHere(r):
		c.fail(http.StatusForbidden, "forbidden", "faults are injected from loopback only")
		return true
	case r.Method != http.MethodPost:
		notAllowed(w, http.MethodPost)
		return true
	}
	var err error
	switch what {
	case "panic":
		if _, err = a.system.Room(ctx, q.Get("room")); err == nil {
			a.system.Inject(q.Get("room"), q.Get("session"), func() { panic("injected") })
		}
	case "corrupt":
		err = a.system.Corrupt(ctx, actors.Corruption(q.Get("kind")), q.Get("room"), q.Get("session"))
	default:
		c.nothing()
		return true
	}
	if err != nil {
		c.fail(http.StatusNotFound, "not_found", err.Error())
		return true
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}
