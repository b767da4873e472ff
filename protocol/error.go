package protocol

// ErrorCode says what was wrong with a request. The set is append-only.
type ErrorCode string

// The error codes, docs/protocol.md §4.
const (
	ErrBadRequest   ErrorCode = "bad_request"
	ErrUnknownType  ErrorCode = "unknown_type"
	ErrNotJoined    ErrorCode = "not_joined"
	ErrUnauthorized ErrorCode = "unauthorized"
	ErrForbidden    ErrorCode = "forbidden"
	ErrRoomFull     ErrorCode = "room_full"
	ErrTooLarge     ErrorCode = "too_large"
	ErrRateLimited  ErrorCode = "rate_limited"
	ErrBanned       ErrorCode = "banned"
	ErrUnavailable  ErrorCode = "unavailable"
	ErrInternal     ErrorCode = "internal"
)

// ErrorCodes lists every error code, for tables and metrics.
var ErrorCodes = []ErrorCode{
	ErrBadRequest, ErrUnknownType, ErrNotJoined, ErrUnauthorized, ErrForbidden, ErrRoomFull, ErrTooLarge,
	ErrRateLimited, ErrBanned, ErrUnavailable, ErrInternal,
}

// Error answers a request that was refused. It never ends the connection.
//
//	{"type":"error","id":7,"code":"not_joined","message":"join the room before publishing to it","room":"lobby"}
type Error struct {
	ID      uint64    `json:"id,omitempty"` // of the request; 0 where it had none, or none that could be read
	Code    ErrorCode `json:"code"`
	Message string    `json:"message"` // for people; constant text, never the request's own
	Room    string    `json:"room,omitempty"`
	RetryMS int64     `json:"retry_ms,omitempty"` // with rate_limited: when it may be tried again
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }
