"""Moto's server as the DynamoDB in which programs keep what the gateway's keys have sealed."""

import atexit
import re
import subprocess
import sys

import boto3
from gateway import PATIENCE, REGION, Lines


class DynamoDb:
    """One run of it, on a free port."""

    def __init__(self):
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        # What a failed test leaves behind.
        atexit.register(self.process.kill)
        self.stderr = Lines(self.process.stderr)
        self.endpoint = self.stderr.wait_for(lambda line: re.search(rb"Running on (http://\S+)", line))[1].decode()

    def client(self):
        return boto3.session.Session().client(
            "dynamodb",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="anybody",
            aws_secret_access_key="anything",
        )

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
