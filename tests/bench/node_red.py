"""The same stream through Node-RED with `pg`: acknowledged on receipt, inserts of 1,000 rows.

Node-RED is installed from npm into the user's cache at the first run; where that cannot be, it is not measured.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import psycopg

from homecare.broker import BACKEND_USER, Broker
from tests.bench.goals import Results
from tests.bench.pace import Consumer, Turn, drive
from tests.bench.rival import FILTER, TABLE, create_table
from tests.bench.say import Say
from tests.bench.site import Site
from tests.bench.throughput import products_turn, rate
from tests.services.errors import ServiceMissing
from tests.services.ports import free_port

PACKAGES = ("node-red@4", "pg@8")
INSTALLS_WITHIN_S = 300
STARTS_WITHIN_S = 60
ROUNDS = 3
SECONDS = 6.0
SETTINGS = """
const {{ Pool }} = require('pg');
let done = 0;
module.exports = {{
    uiPort: {port}, uiHost: '127.0.0.1', flowFile: 'flows.json', credentialSecret: false,
    logging: {{ console: {{ level: 'warn', metrics: false, audit: false }} }},
    functionGlobalContext: {{
        pool: new Pool({{ connectionString: '{url}', max: 4 }}),
        committed: rows => {{ done += rows; process.stdout.write('committed ' + done + '\\n'); }},
        ready: () => process.stdout.write('ready\\n'),
    }},
}};
"""
INSERT = """
const rows = context.get('rows');
if (msg.payload !== undefined) {
    const values = msg.payload.values;
    rows.push(new Date(msg.payload.ts), parseInt(msg.topic.split('/')[3].slice(6)), new Date(),
              values.heart_rate, values.spo2, values.battery);
}
if (rows.length >= 6000 || (msg.payload === undefined && rows.length)) {
    context.set('rows', []);
    const count = rows.length / 6;
    let places = [];
    for (let n = 0; n < count; n++)
        places.push(`($${6*n+1},$${6*n+2},$${6*n+3},$${6*n+4},$${6*n+5},$${6*n+6})`);
    global.get('pool').query('insert into TABLE (ts, device, received, heart_rate, spo2, battery) values '
        + places.join(','), rows).then(() => global.get('committed')(count), problem => node.error(problem.message));
}
return null;
""".replace("TABLE", TABLE)


async def measure(site: Site, results: Results, say: Say) -> None:
    """node_red_msg_per_s and ingest_vs_node_red, in turns."""
    names = ("node_red_msg_per_s", "ingest_vs_node_red")
    try:
        folder = await asyncio.to_thread(install)
    except ServiceMissing as missing:
        results.skip(missing.reason, *names)
        return
    directory, empty = site.make_directory("bench_beside", devices=10_000), site.make_empty("bench_node_red")
    theirs: list[Turn] = []
    ours: list[Turn] = []
    for number in range(1, ROUNDS + 1):
        theirs.append(await _turn(site, folder, empty))
        ours.append((await products_turn(site, directory, SECONDS))[0])
        say(f"round {number}/{ROUNDS} Node-RED {theirs[-1].rate:8,.0f} msg/s, this product {ours[-1].rate:8,.0f} msg/s")
    results.add(names[0], rate(theirs))
    results.add(names[1], rate(ours) / rate(theirs))


def install() -> Path:
    """The folder with Node-RED in it. Raises ServiceMissing with the reason."""
    npm = shutil.which("npm")
    if npm is None:
        raise ServiceMissing("Node-RED", "no npm on this machine")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homecare/node-red"
    if not (cache / "node_modules/node-red/red.js").exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(cache), "--no-audit", "--no-fund", "--loglevel=error", *PACKAGES]
        try:
            made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALLS_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise ServiceMissing("Node-RED", f"npm did not install it within {INSTALLS_WITHIN_S} s") from None
        if made.returncode != 0:
            raise ServiceMissing("Node-RED", "npm: " + (made.stderr.strip().splitlines() or ["failed"])[0])
    return cache


async def _turn(site: Site, folder: Path, empty: str) -> Turn:
    with site.database(empty) as url, site.broker() as broker:
        with psycopg.connect(url, autocommit=True) as db:
            create_table(db)
        async with _flow(site, folder, broker, url) as consumer:
            turn = await drive(site, broker, consumer, SECONDS)
        with psycopg.connect(url) as db:
            stored = db.execute(f"select count(*) from {TABLE}".encode()).fetchone()
    assert stored == (turn.published,), f"{stored} rows of {turn.published}"
    return turn


@asynccontextmanager
async def _flow(site: Site, folder: Path, broker: Broker, url: str) -> AsyncIterator[Consumer]:
    """A running Node-RED that is subscribed; ends with the block."""
    user = site.directory / f"node-red-{broker.port}"
    user.mkdir()
    # `pg` is found from the settings' own folder
    (user / "node_modules").symlink_to(folder / "node_modules")
    (user / "settings.js").write_text(SETTINGS.format(port=free_port(), url=url), "utf-8")
    (user / "flows.json").write_bytes(msgspec.json.encode(_nodes(broker)))
    access = {"broker": {"user": BACKEND_USER, "password": broker.users[BACKEND_USER]}}
    (user / "flows_cred.json").write_bytes(msgspec.json.encode(access))
    process = await asyncio.create_subprocess_exec(
        *("node", str(folder / "node_modules/node-red/red.js"), "--userDir", str(user)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    output, done, ready, said = process.stdout, 0, asyncio.Event(), b""

    async def follow() -> None:
        nonlocal done, said
        async for line in output:
            if line.startswith(b"committed "):
                done = int(line.split()[1])
            elif line == b"ready\n":
                ready.set()
            else:
                said = line

    async def progress() -> int:
        if process.returncode is not None:
            raise RuntimeError(f"Node-RED ended: {said.decode().strip()}")
        return done

    try:
        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow(), name="node-red")
            async with asyncio.timeout(STARTS_WITHIN_S):
                await ready.wait()
            yield Consumer((process.pid,), progress)
            following.cancel()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _nodes(broker: Broker) -> list[dict[str, object]]:
    """The flow: subscribe, collect, insert; every half second what is left."""
    said = {"z": "flow", "x": 0, "y": 0}
    return [
        {"id": "flow", "type": "tab", "label": "measurements"},
        {
            "id": "broker",
            "type": "mqtt-broker",
            "broker": "127.0.0.1",
            "port": str(broker.port),
            "clientid": "bench-node-red",
            "autoConnect": True,
            "protocolVersion": "4",
            "keepalive": "60",
            "cleansession": True,
        },
        {
            **said,
            "id": "in",
            "type": "mqtt in",
            "topic": FILTER,
            "qos": "1",
            "datatype": "json",
            "broker": "broker",
            "wires": [["insert"]],
        },
        {
            **said,
            "id": "rest",
            "type": "inject",
            "repeat": "0.5",
            "once": False,
            "props": [],
            "wires": [["insert"]],
        },
        {
            **said,
            "id": "insert",
            "type": "function",
            "func": INSERT,
            "initialize": "context.set('rows', []);",
            "outputs": 1,
            "wires": [[]],
        },
        {
            **said,
            "id": "status",
            "type": "status",
            "scope": ["in"],
            "wires": [["subscribed"]],
        },
        {
            **said,
            "id": "subscribed",
            "type": "function",
            "func": "if (msg.status.fill === 'green') global.get('ready')(); return null;",
            "outputs": 1,
            "wires": [[]],
        },
    ]
