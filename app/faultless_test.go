//go:build !faults

package app

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFaultsAreInjectedIntoTestBuildsOnly(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{"/debug/faults/panic?room=a", "/debug/faults/corrupt?room=a&kind=lost_seat", "/debug/faults/"} {
		for _, method := range []string{"POST", "GET"} {
			require.Equal(t, http.StatusNotFound, s.call(method, path, "").status, "%s %s", method, path)
		}
	}
}
