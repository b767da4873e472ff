package main

import "encoding/json"

// command is what a client says.
//
//	{"type":"publish","data":"hi"}
type command struct {
	Type string          `json:"type"` // publish, update, leave or join (again)
	Data json.RawMessage `json:"data"` // of publish, update and join
}

// event is what a room tells: a join, leave or update of its members, or a
// message of one; or an answer to one client: left or error.
type event struct {
	Type string          `json:"type"`
	ID   string          `json:"id,omitempty"` // of the member
	Data json.RawMessage `json:"data,omitempty"`
}

// members is the first thing that a member is told after a join: all members,
// itself included.
type members struct {
	Type    string   `json:"type"`
	Count   int      `json:"count"`
	Members []person `json:"members"` // null: a quiet hub does not list them
}

type person struct {
	ID   string          `json:"id"`
	Data json.RawMessage `json:"data,omitempty"`
}
