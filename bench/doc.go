// Package bench measures presence servers: what a member, a message, a join
// and a leave cost the server process, beside a program that does nothing but
// write the same bytes, and beside other servers that do the same work.
//
// A Driver is a server under test. The load is made by processes of their own
// (load), steered by the scenarios, which turn what they measured into the
// tables of a Report.
package bench
