package config

import (
	"strconv"
	"strings"
)

// nearest returns the candidate that a writer of name most likely meant, or ""
// if none is near. Case and punctuation don't count: idleAfter, idle-after and
// IDLE_AFTER are all near to idle_after. A name without its section is near to
// the only candidate that ends in it.
func nearest(name string, candidates []string) string {
	plain := letters(name)
	if plain == "" || len(plain) > 100 {
		return ""
	}
	best, least, moved, moves := "", len(plain)/3+1, "", 0
	for _, c := range candidates {
		if d := distance(plain, letters(c)); d < least {
			best, least = c, d
		}
		if _, key, ok := strings.Cut(c, "."); ok && letters(key) == letters(name[strings.LastIndexByte(name, '.')+1:]) {
			moved = c
			moves++
		}
	}
	if least > 0 && moves == 1 {
		return moved
	}
	return best
}

// didYouMean ends a message with a suggestion, if there is one.
func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return "; did you mean " + strconv.Quote(name) + "?"
}

// letters is s in lower case, letters and digits only.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case r == '.' || r == '-' || r == '_' || r == ' ':
			return -1
		}
		return r
	}, s)
}

// distance counts the single-byte edits (insert, delete, replace, swap two
// neighbours) that turn a into b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// oneOf is "a", "a or b", "a, b or c".
func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
