package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCloseCodesSayWhetherToComeBack(t *testing.T) {
	for code, want := range map[CloseCode]bool{
		CloseNormal: false, CloseProtocol: false, CloseAbnormal: false, 3999: false,
		CloseShutdown: true, CloseSlow: true, CloseFailed: true, CloseOverloaded: true, 4499: true,
		CloseIdle: false, CloseExpired: false, CloseKicked: false, CloseBanned: false, CloseUnauthorized: false,
		CloseReplaced: false, CloseFlood: false, 4999: false,
	} {
		require.Equal(t, want, code.Reconnect(), "%d", code)
	}
}

// The table of docs/protocol.md §5, as the server uses it.
func TestReasonsHaveTheirCloseCodes(t *testing.T) {
	want := map[Reason]CloseCode{
		ReasonLeft: 0, ReasonClosed: 0, ReasonLost: 0, ReasonNodeLost: 0, // nothing is sent
		ReasonKicked: 4502, ReasonBanned: 4503, ReasonFailed: 4003, ReasonIdle: 4500, ReasonExpired: 4501,
		ReasonUnauthorized: 4504, ReasonReplaced: 4505, ReasonViolation: 4506, ReasonSlow: 4002, ReasonShutdown: 4000,
	}
	require.Len(t, Reasons, len(want))
	for _, r := range Reasons {
		code, ok := want[r]
		require.True(t, ok, "%s has no row", r)
		require.Equal(t, code, r.Code(), "%s", r)
	}
}

func TestCloseCodesSayWhyTheyWereSent(t *testing.T) {
	for _, r := range Reasons {
		if c := r.Code(); c != 0 {
			require.Equal(t, r, c.Reason(), "%d", c)
		}
	}
	for _, c := range []CloseCode{0, CloseNormal, CloseTooBig, CloseOverloaded, 4999} {
		require.Empty(t, c.Reason(), "%d", c)
	}
}
