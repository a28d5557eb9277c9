"""A serving level that never gets the news: it serves the same thing whatever was written."""

import http.server
import threading


class StaleServing(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        content = b"what was there before\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *unused):
        pass


def serve(cleanup):
    """Serves until what is given to `cleanup` is called; its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StaleServing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cleanup(server.server_close)
    cleanup(server.shutdown)
    return server.server_port
