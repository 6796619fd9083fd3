#!/bin/sh
# A TLS server and a client that tells it a secret.
dir=$(mktemp -d)
cd "$dir" || exit 1
openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 9 -subj /CN=localhost 2>/dev/null
port=$((20000 + $$ % 20000))
sleep 5 | openssl s_server -quiet -key key -cert cert -accept $port -naccept 1 >/dev/null 2>&1 &
sleep 2
echo secret | timeout 4 openssl s_client -quiet -connect 127.0.0.1:$port >/dev/null 2>&1
wait
rm -r "$dir"
