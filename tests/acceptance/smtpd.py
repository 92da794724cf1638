"""A mail server for tests: puts each mail into a file of a directory, as JSON.

smtpd.py PORT DIRECTORY. Receivers that begin with "gone" are not known here.
"""

import asyncio
import json
import os
import sys
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller


class Box:
    def __init__(self, directory):
        self.directory = directory
        self.count = len(os.listdir(directory))

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        text = mail.get_body(("plain",))
        html = mail.get_body(("html",))
        read = {
            "to": envelope.rcpt_tos,
            "subject": mail["Subject"],
            "id": mail["Message-ID"],
            "text": text.get_content() if text else "",
            "html": html.get_content() if html else "",
        }
        self.count += 1
        name = os.path.join(self.directory, f"{self.count:04}")
        with open(name + ".part", "w") as file:
            json.dump(read, file)
        os.rename(name + ".part", name + ".json")
        return "250 taken"


port, directory = int(sys.argv[1]), sys.argv[2]
Controller(Box(directory), hostname="127.0.0.1", port=port).start()
print("ready", flush=True)
asyncio.new_event_loop().run_forever()
