"""`python -m config.fake_redis`: prints its port, then answers as Redis does until its standard input ends."""

import os
import sys
import threading

from fakeredis import TcpFakeServer


def main() -> None:
    server = TcpFakeServer(("127.0.0.1", 0), server_version=(7, 0))
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)  # its threads wait on open connections and there is nothing to save


if __name__ == "__main__":
    main()
