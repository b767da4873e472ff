package protocol

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidRoom(t *testing.T) {
	for _, tt := range []struct {
		room string
		want bool
	}{
		{"lobby", true},
		{"a", true},
		{"Dev.team_1:blue-green~x@home", true},
		{"floor/2/kitchen", true},
		{"..", true},
		{"@stats", true}, // the server's own: a name all the same
		{strings.Repeat("r", MaxRoomBytes), true},

		{"", false},
		{strings.Repeat("r", MaxRoomBytes+1), false},
		{"/", false},
		{"/lobby", false},
		{"lobby/", false},
		{"a//b", false},
		{"a b", false},
		{"a\x00", false},
		{"küche", false},
		{"a?b", false},
		{"a#b", false},
		{"a%2Fb", false},
		{`a\b`, false},
		{"a+b", false},
	} {
		if got := ValidRoom(tt.room); got != tt.want {
			t.Errorf("ValidRoom(%q) = %t, want %t", tt.room, got, tt.want)
		}
		if got := ValidRoom([]byte(tt.room)); got != tt.want {
			t.Errorf("ValidRoom([]byte(%q)) = %t, want %t", tt.room, got, tt.want)
		}
	}
}

func TestServerRoom(t *testing.T) {
	require.True(t, ServerRoom("@stats"))
	require.False(t, ServerRoom("stats@home"))
	require.False(t, ServerRoom(""))
}

func TestValidUser(t *testing.T) {
	for _, tt := range []struct {
		user string
		want bool
	}{
		{"kim", true},
		{"kim@example.org", true},
		{"김 ✨", true},
		{strings.Repeat("u", MaxUserBytes), true},
		{strings.Repeat("é", MaxUserBytes/2), true},

		{"", false},
		{strings.Repeat("u", MaxUserBytes+1), false},
		{strings.Repeat("é", MaxUserBytes/2) + "u", false}, // bytes count, not characters
		{"a\nb", false},
		{"a\x7f", false},
		{"a\u0085", false},
		{"a\xff", false},
	} {
		if got := ValidUser(tt.user); got != tt.want {
			t.Errorf("ValidUser(%q) = %t, want %t", tt.user, got, tt.want)
		}
	}
}

func TestValidName(t *testing.T) {
	for _, tt := range []struct {
		name string
		want bool
	}{
		{"Kim", true},
		{"Kim O'Neill ✨", true},
		{strings.Repeat("é", MaxNameRunes), true}, // characters count, not bytes

		{"", false},
		{strings.Repeat("é", MaxNameRunes+1), false},
		{"   ", false},
		{"\u00a0\u3000", false},
		{"Kim\x1b[2J", false},
		{"Kim\xff", false},
	} {
		if got := ValidName(tt.name); got != tt.want {
			t.Errorf("ValidName(%q) = %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestValidKey(t *testing.T) {
	require.True(t, ValidKey("a"))
	require.True(t, ValidKey(strings.Repeat("k", MaxKeyBytes)))
	require.False(t, ValidKey(""))
	require.False(t, ValidKey(strings.Repeat("k", MaxKeyBytes+1)))
	require.False(t, ValidKey("\xff"))
}

func TestActivityIsWhatAPersonCauses(t *testing.T) {
	for c, want := range map[Command]bool{
		&Join{}: true, &Leave{}: true, &Publish{}: true, &Update{}: true, &Signal{}: true,
		&Members{}: false, &History{}: false, &Ping{}: false,
	} {
		require.Equal(t, want, Activity(c), "%T", c)
	}
}
