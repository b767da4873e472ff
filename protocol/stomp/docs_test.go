package stomp

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The examples of docs/stomp.md are frames, and all that there are have one.
func TestExamplesOfTheReferenceAreTrue(t *testing.T) {
	page, err := os.ReadFile("../../docs/stomp.md")
	require.NoError(t, err)
	shown := map[string]bool{}
	s := &Session{}
	for i, block := range strings.Split(string(page), "```") {
		text, isFrame := strings.CutPrefix(block, "\n")
		if i%2 == 0 || !isFrame {
			continue
		}
		fs, err := parse(V12, DefaultLimits(1000), strings.ReplaceAll(text, "^@", "\x00"), 1000)
		require.NoError(t, err, text)
		require.Len(t, fs, 1, text)
		f := fs[0]
		shown[f.Command] = true
		switch f.Command {
		case "CONNECTED", "MESSAGE", "RECEIPT", "ERROR":
			require.NotEmpty(t, f.Headers)
		default:
			s.Receive(f)
			require.Nil(t, s.failure, "%s is refused", text)
		}
	}
	for _, command := range []string{
		"CONNECT", "CONNECTED", "SUBSCRIBE", "UNSUBSCRIBE", "SEND", "BEGIN", "COMMIT", "ACK", "DISCONNECT", "MESSAGE", "RECEIPT", "ERROR",
	} {
		require.True(t, shown[command], "no example of %s", command)
	}
	for name := range secrets {
		require.Contains(t, string(page), "`"+name+"`")
	}
}
