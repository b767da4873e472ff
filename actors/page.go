package actors

import (
	"strconv"
	"strings"

	"rollcall/protocol"
)

// page is a part of the member list: up to limit members after the cursor.
func (r *room) page(cursor string, limit int) (l protocol.MemberList, err *protocol.Error) {
	after, err := r.after(cursor)
	if err != nil {
		return l, err
	}
	if limit <= 0 {
		limit = protocol.DefaultMembersLimit
	}
	ms, next := r.present.Page(after, min(limit, protocol.MaxMembersLimit))
	l = protocol.MemberList{Room: r.name, Members: ms, Count: r.count()}
	if next > 0 {
		l.Next = strconv.FormatUint(next, 36) + "." + r.pages()
	}
	return l, nil
}

// after reads a cursor: the offset of a join, and which count it is from.
func (r *room) after(cursor string) (uint64, *protocol.Error) {
	if cursor == "" {
		return 0, nil
	}
	offset, pages, _ := strings.Cut(cursor, ".")
	after, err := strconv.ParseUint(offset, 36, 64)
	switch {
	case err != nil:
		return 0, &protocol.Error{Code: protocol.ErrBadRequest, Message: "cursor is not one of this server's"}
	case pages != r.pages():
		return 0, &protocol.Error{Code: protocol.ErrBadRequest, Message: "the room has started over since this cursor; begin with the first page"}
	}
	return after, nil
}

// pages is which count of joins the cursors are from: a new one with every
// snapshot that the room starts from.
func (r *room) pages() string {
	if r.resets == 0 {
		return r.epoch()
	}
	return r.epoch() + "." + strconv.Itoa(r.resets)
}

// answerPage answers the question for a page.
func (r *room) answerPage(m *listMembers) {
	l, err := r.page(m.cursor, m.limit)
	if err != nil {
		m.refuse(err)
		return
	}
	m.answer(l)
}
