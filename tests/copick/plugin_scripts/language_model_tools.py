"""Calls tools of copick-mcp as a language model's client does; prints the answers.

Run by ``test_plugins.py`` with a list of calls, on our package and on the PyPI one.
"""

import asyncio
import json
import logging
import sys

from copick_mcp.main import mcp
from fastmcp import Client

import copick

logging.disable(logging.CRITICAL)


async def ask(calls):
    async with Client(mcp) as client:
        names = sorted(tool.name for tool in await client.list_tools())
        answers = []
        for name, arguments in calls:
            answer = await client.call_tool(name, arguments, raise_on_error=False)
            answers.append(answer.content[0].text if answer.is_error else answer.structured_content)
    return [copick.from_file.__module__, names, answers]


print(json.dumps(asyncio.run(ask(json.loads(sys.argv[1])))))
