package bench

// ledger is what one client has heard of the senders in its room, in one run.
type ledger struct {
	heard   []uint32 // by sender: the newest number
	missing int      // numbers that were skipped and have not come since
}

// note takes message seq of a sender, and says what is wrong with it.
func (l *ledger) note(sender, seq uint64) verdict {
	if sender >= uint64(len(l.heard)) {
		return stray
	}
	last := uint64(l.heard[sender])
	switch {
	case seq == last+1:
		l.heard[sender]++
		return expected
	case seq > last:
		l.missing += int(seq - last - 1)
		l.heard[sender] = uint32(seq)
		return expected
	case seq < last && l.missing > 0:
		l.missing--
		return late
	default:
		return twice
	}
}

// lost is how many of the messages, each by each sender, have not come.
func (l *ledger) lost(each int) int {
	lost := l.missing
	for _, last := range l.heard {
		lost += each - int(last)
	}
	return lost
}

// verdict is about one message.
type verdict uint8

const (
	expected verdict = iota // it is the next one, or those before it are missing so far
	late                    // a later one came before
	twice
	stray // of a sender that there is not
)
