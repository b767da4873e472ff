// The inside of a SockJS iframe: a page of another origin, whose browser can't
// ask this server itself, has it ask. Both talk by postMessage, in JSON:
//
//	{"windowId":"…","type":"…","data":"…"}
//
//	type  from    data
//	s     here    none: the iframe is loaded
//	s     page    JSON: [version, transport, address of the session, address of the service]
//	m     page    a message to send, as a JSON string
//	t     here    a frame of the server
//	c     page    none: close
//	c     here    JSON: [code, reason]: it is over
//
// Whichever transport the page names, frames come by the same kind of request,
// polled or streamed: they mean the same. So does this script to every version
// of the client. The page's Content-Security-Policy says who may embed it.
"use strict";

var SockJS = {
  bootstrap_iframe: function () {
    var windowId = location.hash.slice(1);
    var origin; // of the page, once it has spoken
    var session; // nil before "s" and after the end

    function post(type, data) {
      parent.postMessage(JSON.stringify({ windowId: windowId, type: type, data: data || "" }), origin || "*");
    }

    // request makes one request; done gets its status, 0 for none.
    function request(address, body, progress, done) {
      var xhr = new XMLHttpRequest();
      xhr.open("POST", address, true);
      xhr.setRequestHeader("Content-Type", "text/plain");
      xhr.onprogress = function () { progress(xhr.responseText); };
      xhr.onload = function () { progress(xhr.responseText); done(xhr.status); };
      xhr.onerror = function () { done(0); };
      xhr.send(body);
      return xhr;
    }

    function Session(transport, address) {
      var parts = address.split("?");
      var query = parts[1] ? "?" + parts[1] : "";
      var receiving, sending;
      var waiting = [];
      var self = this;

      this.close = function () {
        session = undefined;
        if (receiving) receiving.abort();
        if (sending) sending.abort();
      };

      function lost(reason) {
        if (session !== self) return;
        self.close();
        post("c", JSON.stringify([1006, reason]));
      }

      function receive() {
        var seen = 0;
        receiving = request(parts[0] + (transport === "xhr-polling" ? "/xhr" : "/xhr_streaming") + query, null, function (text) {
          for (var end; session === self && (end = text.indexOf("\n", seen)) >= 0; seen = end + 1) {
            var frame = text.slice(seen, end);
            if (end !== 2048 || seen !== 0) post("t", frame); // else it is the prelude of a stream
          }
        }, function (status) {
          if (session !== self) return;
          if (status === 200) receive();
          else lost("receiving: status " + status);
        });
      }

      this.send = function (message) {
        if (message !== undefined) waiting.push(message);
        if (sending || waiting.length === 0) return;
        var body = "[" + waiting.join(",") + "]";
        waiting = [];
        sending = request(parts[0] + "/xhr_send" + query, body, function () {}, function (status) {
          sending = undefined;
          if (session !== self) return;
          if (status === 200 || status === 204) self.send();
          else lost("sending: status " + status);
        });
      };

      session = this;
      receive();
    }

    function sameOrigin(address) {
      var a = document.createElement("a");
      a.href = address;
      return a.protocol === location.protocol && a.host === location.host;
    }

    addEventListener("message", function (e) {
      if (e.source !== parent || (origin && e.origin !== origin)) return;
      var m;
      try {
        m = JSON.parse(e.data);
      } catch (unreadable) {
        return;
      }
      if (!m || m.windowId !== windowId) return;
      if (!origin) origin = e.origin === "null" ? "*" : e.origin;
      if (m.type === "s" && !session) {
        var s = JSON.parse(m.data);
        if (sameOrigin(s[2])) new Session(s[1], s[2]);
        else post("c", JSON.stringify([1006, "the session is not of this server"]));
      } else if (m.type === "m" && session) {
        session.send(m.data);
      } else if (m.type === "c" && session) {
        session.close();
      }
    });
    post("s");
  },
};
