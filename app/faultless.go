//go:build !faults

package app

import "net/http"

// inject is for builds with the tag faults: this server has no such calls.
func (*App) inject(http.ResponseWriter, *http.Request, string) bool { return false }
