package app

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAQueryThatCannotBeReadIsRefused(t *testing.T) {
	for _, query := range []string{"user=%zz", "user=kim&room=%", "user=kim;room=lobby", `user=kim&data="a;b"`} {
		h, err := readHello(query, 0)
		require.ErrorContains(t, err, "percent-encoded", query)
		require.Nil(t, h, query)
	}
	h, err := readHello("user=kim&data=%22a%3Bb%22", 0)
	require.NoError(t, err)
	require.Equal(t, `"a;b"`, string(h.data))
}
