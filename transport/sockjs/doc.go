// Package sockjs serves SockJS (protocol 0.3.3, as sockjs-client speaks it): a
// WebSocket where the network lets one through, and else a connection made of
// HTTP requests. To its Handler every one of them is a transport.Conn.
//
//	{prefix}                            a greeting
//	{prefix}/info                       what is spoken here
//	{prefix}/iframe….html               a page for browsers that can't ask us directly
//	{prefix}/websocket                  a WebSocket without SockJS framing
//	{prefix}/{server}/{session}/…       the session's transports:
//	    websocket                       frames in both directions
//	    xhr, jsonp                      a request that one frame answers: polling
//	    xhr_streaming, eventsource, htmlfile
//	                                    a response that frames are appended to
//	    xhr_send, jsonp_send            messages of the client
//
// Frames to the client are o (open), h (heartbeat), a["…","…"] (messages) and
// c[code,"reason"] (close). The client sends arrays of strings.
//
// # What can be lost
//
// A session of requests is three things on top of each other:
//
//	receiver  the request that waits for messages now. Its end in order, after a
//	          poll's answer or at the response limit, loses nothing: the
//	          client comes with the next one, and what is to be sent waits.
//	session   the connection. It is lost when no receiver came for the
//	          disconnect delay, or when a receiver's connection broke: nobody
//	          can tell what of the last response arrived, as nothing is
//	          acknowledged. Only then is Handler.Closed called, with cause Lost.
//	client    who was connected. It is nothing of this package: whoever owns
//	          the Handler may hold it for a while, for another connection.
//
// The protocol has no close frame from the client: a closed tab is a request
// that breaks, or one that does not come.
//
// # Who runs what
//
// WebSockets are package transport's, event loops and all; a frame of
// AppendText goes to them, and to a session of requests, as it is. A request
// runs on its net/http goroutine: receivers wait there for what Conn.Write
// leaves in the session, senders make the Handler's calls, one after the
// other.
//
// # What is bounded
//
// What waits for a client by OutboundBytes, over which it is cut as Slow; a
// message by MessageBytes, a frame and a request's body by what its quoting may
// take, and four requests with messages at once; receivers, one; a response by ResponseLimit, each write
// to it by WriteTimeout; sessions by the Connections of the transport.Server;
// session and callback names. Every refusal, cut and drop is counted in Stats.
package sockjs
