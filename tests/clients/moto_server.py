"""Moto's server: the DynamoDB in which programs keep what the gateway's keys have sealed, and a KMS to forward to."""

import atexit
import os
import re
import subprocess
import sys

import boto3
from gateway import PATIENCE, REGION, AccessKey, Lines


class MotoServer:
    """One run of it, on a free port."""

    # It takes whatever it is signed with.
    ca_file, key = None, AccessKey("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None)

    def __init__(self):
        self.secrets = set()
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
        self.process = subprocess.Popen(
            command,
            env=os.environ | {"MOTO_ACCOUNT_ID": "111122223333"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        # What a failed test leaves behind.
        atexit.register(self.process.kill)
        self.stderr = Lines(self.process.stderr)
        self.endpoint = self.stderr.wait_for(lambda line: re.search(rb"Running on (http://\S+)", line))[1].decode()

    def client(self, service="dynamodb"):
        return boto3.session.Session().client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.key.id,
            aws_secret_access_key=self.key.secret,
        )

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
