// A stand-in for a WebSocket in tests: the test is the server.

export class FakeSocket {
  static all: FakeSocket[] = [];
  static open = (url: string) => new FakeSocket(url) as unknown as WebSocket;
  onmessage: ((e: { data: unknown }) => void) | null = null;
  onclose: ((e: { code: number }) => void) | null = null;
  sent: { type: string; id: number; [field: string]: unknown }[] = [];
  closedWith: number | undefined;
  readonly query: URLSearchParams;

  constructor(url: string) {
    this.query = new URL(url).searchParams;
    FakeSocket.all.push(this);
  }
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close(code: number) {
    this.closedWith = code;
  }
  says(frame: object) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  welcome(more: object = {}) {
    this.says({ type: "welcome", session: "s_1", user: "u", name: "n", resumed: false, idle_ms: 0, disconnect_ms: 0, max_bytes: 200, server: "t", at: 0, ...more });
  }
  ends(code: number) {
    this.onclose?.({ code });
  }
}
