package terminal

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"rollcall/client"
	"rollcall/protocol"
)

// input turns lines into messages and commands. One goroutine reads, so that
// /quit is heard while messages wait for a connection; another sends.
type input struct {
	client   *client.Client
	view     *view
	room     string
	lines    io.Reader
	messages chan string // read, not yet sent; closed after the last
}

var errQuit = errors.New("quit")

const (
	maxLine = 1 << 20 // bytes; more is no line that anybody typed
	spare   = 1024    // bytes of a frame beside its data, at most
)

// start begins to read and to send. read tells how the input ended: nil at its
// end, errQuit, or an error. sent is closed when the last message was sent.
func (in *input) start(ctx context.Context) (read <-chan error, sent <-chan struct{}) {
	ended, done := make(chan error, 1), make(chan struct{})
	go func() {
		err := in.read(ctx)
		close(in.messages)
		ended <- err
	}()
	go func() {
		defer close(done)
		for {
			select {
			case text, more := <-in.messages:
				if !more {
					return
				}
				in.send(ctx, text)
			case <-ctx.Done():
				return
			}
		}
	}()
	return ended, done
}

func (in *input) read(ctx context.Context) error {
	r := bufio.NewReader(in.lines)
	for ctx.Err() == nil {
		line, long, err := readLine(r)
		switch {
		case long:
			in.view.note("not sent: a line of more than %d bytes", maxLine)
		case strings.TrimSpace(line) != "":
			if quit := in.obey(ctx, line); quit {
				return errQuit
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
	}
	return nil
}

// readLine reads a line without its end. One that is too long is passed over.
func readLine(r *bufio.Reader) (line string, long bool, err error) {
	var b strings.Builder
	for {
		part, err := r.ReadSlice('\n')
		if long = long || b.Len()+len(part) > maxLine; !long {
			b.Write(part)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long {
			return "", true, err
		}
		return strings.TrimRight(b.String(), "\r\n"), false, err
	}
}

// obey does what a line asks for.
func (in *input) obey(ctx context.Context, line string) (quit bool) {
	command, isCommand := strings.CutPrefix(line, "/")
	if isCommand && !strings.HasPrefix(command, "/") {
		switch strings.TrimSpace(command) {
		case "quit", "exit":
			return true
		case "who":
			in.who(ctx)
		case "me":
			in.view.tellMe()
		case "help":
			in.view.note("/who: who is here · /me: who you are · /quit: leave · //text: say /text")
		default:
			in.view.note("there is no /%s; try /help", command)
		}
		return false
	}
	if isCommand {
		line = command // the first / was there to say the second
	}
	select {
	case in.messages <- line:
	case <-ctx.Done():
	}
	return false
}

// who tells who is here; where there are too many to know, it asks for some.
func (in *input) who(ctx context.Context) {
	if in.view.tellWho() {
		return
	}
	page, err := in.client.Members(ctx, in.room, shown, "")
	if err != nil {
		in.view.note("nobody says who is here: %s", err)
		return
	}
	in.view.tellPage(page)
}

// send publishes a message once: over a rate limit or a lost connection it is
// tried again, under one key, so that nobody sees it twice.
func (in *input) send(ctx context.Context, text string) {
	data := json.RawMessage(append(protocol.AppendString([]byte(`{"text":`), text), '}'))
	if most := in.client.Welcome().MaxBytes; most > 0 && len(data)+spare > most {
		in.view.note("not sent: longer than the %d bytes that the server takes", most)
		return
	}
	key := rand.Text()
	for told := false; ctx.Err() == nil; {
		back := in.view.entry()
		_, err := in.client.PublishOnce(ctx, in.room, key, data)
		var e *protocol.Error
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case errors.As(err, &e) && temporary(e.Code):
			if !sleep(ctx, max(time.Duration(e.RetryMS)*time.Millisecond, 100*time.Millisecond)) {
				return
			}
		case errors.As(err, &e) && e.Code == protocol.ErrNotJoined, errors.Is(err, client.ErrOffline), errors.Is(err, client.ErrUnanswered):
			if !told {
				told = true
				in.view.note("not sent yet: waiting to be back")
			}
			select {
			case <-back:
			case <-ctx.Done():
			case <-in.client.Done():
				return
			}
		default:
			in.view.note("not sent: %s", err)
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
