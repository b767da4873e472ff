// Package terminal is a chat in a terminal: who is here, who comes and goes and
// why, and what they say.
package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"rollcall/client"
	"rollcall/protocol"
)

// Options say where to chat and as whom.
type Options struct {
	URL  string // of the server, see client.Dial
	Room string
	User string // empty: the server makes one up
	Name string // empty: the server decides
	// Observe watches the room without being a member of it.
	Observe bool

	In  io.Reader // a line is a message or a command
	Out io.Writer

	Client client.Options // how to connect; User, Name and Rooms above win
}

const (
	history   = 20              // messages shown on entering
	quitGrace = 2 * time.Second // for messages still on their way at /quit
)

// Run chats until /quit, the end of In or of ctx, and then leaves cleanly: nil.
// It comes back by itself when the connection is lost, and ends with an error
// when the server does not want it back. The error's text is safe to print.
//
// A Read of In that is under way when Run returns is left to itself: nothing
// can interrupt it.
func Run(ctx context.Context, o Options) error {
	err := run(ctx, o)
	if err == nil || ctx.Err() != nil {
		return nil // told to end
	}
	return &ended{text: clean(err.Error()), err: err}
}

// ended is an error without what could steer a terminal.
type ended struct {
	text string
	err  error
}

func (e *ended) Error() string { return e.text }
func (e *ended) Unwrap() error { return e.err }

func run(ctx context.Context, o Options) error {
	if !protocol.ValidRoom(o.Room) {
		return fmt.Errorf("%q is not the name of a room", o.Room)
	}
	o.Client.User, o.Client.Name, o.Client.Rooms = o.User, o.Name, nil
	c, err := client.Dial(ctx, o.URL, o.Client)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	v := newView(o.Room, o.Out)
	defer v.stop()
	if _, err := c.Join(ctx, o.Room, client.Join{History: history, Observe: o.Observe}); err != nil {
		return fmt.Errorf("join %s: %w", o.Room, err)
	}
	in := &input{client: c, view: v, room: o.Room, lines: o.In, messages: make(chan string, 64)}
	read, sent := in.start(ctx)
	var finished <-chan struct{} // sent, once all is read
	joined := make(chan error)
	join := func(request func(context.Context, string) (*protocol.Joined, error)) {
		go func() { // not here: events must be read for the answer to come
			_, err := request(ctx, o.Room)
			select {
			case joined <- lasting(err):
			case <-ctx.Done():
			}
		}()
	}
	var relist <-chan time.Time // when to ask who is here; nil: not planned
	for {
		select {
		case e, open := <-c.Events():
			if !open {
				return c.Err()
			}
			again, err := take(c, v, e)
			if err != nil {
				return err
			}
			if again {
				join(func(ctx context.Context, room string) (*protocol.Joined, error) {
					return c.Join(ctx, room, client.Join{Observe: o.Observe})
				})
			}
			if wait, unlisted := v.unlisted(); unlisted && relist == nil {
				relist = time.After(rand.N(wait)) // everybody else in the room asks, too
			}
		case <-relist:
			relist = nil
			if _, unlisted := v.unlisted(); unlisted {
				join(c.Refresh)
			}
		case err := <-joined:
			if err != nil {
				return fmt.Errorf("join %s: %w", o.Room, err)
			}
		case err := <-read:
			if errors.Is(err, errQuit) {
				defer time.AfterFunc(quitGrace, cancel).Stop()
			} else if err != nil {
				return err
			}
			read, finished = nil, sent
		case <-finished:
			return nil
		case <-ctx.Done():
			return nil
		}
		if err := v.failure(); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
}

// take shows an event, and says whether the room is to be joined again. An
// error ends the chat.
func take(c *client.Client, v *view, e client.Event) (again bool, err error) {
	me := c.Welcome()
	v.show(me, e)
	switch e := e.(type) {
	case *client.Offline:
		if e.Final {
			return false, fmt.Errorf("the server ended the visit: %s", ending(e))
		}
	case *protocol.Error: // of a rejoin
		if !temporary(e.Code) {
			return false, fmt.Errorf("join %s: %w", v.room, e)
		}
	case *protocol.MemberLeft:
		switch {
		case e.Session != me.Session:
		case e.Reason == protocol.ReasonFailed:
			return true, nil
		default:
			return false, fmt.Errorf("you are out of %s: %s", v.room, because(e.Reason))
		}
	}
	return false, nil
}

// lasting is err, unless it is one that passes: the client comes back into its
// rooms after a lost connection.
func lasting(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) && temporary(e.Code) {
		return nil
	}
	if errors.Is(err, client.ErrOffline) || errors.Is(err, client.ErrUnanswered) || errors.Is(err, client.ErrNotJoined) {
		return nil
	}
	return err
}

func temporary(code protocol.ErrorCode) bool {
	switch code {
	case protocol.ErrRateLimited, protocol.ErrUnavailable, protocol.ErrInternal:
		return true
	}
	return false
}

// ending is why a connection ended, in words.
func ending(e *client.Offline) string {
	if e.Bye != nil {
		return because(protocol.Reason(e.Bye.Reason))
	}
	var closed *client.CloseError
	if errors.As(e.Err, &closed) {
		switch {
		case closed.Code.Reason() != "":
			return because(closed.Code.Reason())
		case closed.Code == protocol.CloseAbnormal:
			return "the connection was lost"
		}
	}
	return e.Err.Error()
}
