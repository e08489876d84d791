#!/usr/bin/env python3
"""The README's five minutes with one's own PostgreSQL are true, both ways: its SQL, its Lua and its
commands as they stand there, on a server that nobody has prepared."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import BUILD, ROOT, environment, free_port, wait_until  # noqa: E402
from harness.servers.postgres import Postgres  # noqa: E402

PROGRAM = os.path.join(BUILD, "tidegate")


def section():
    text = open(os.path.join(ROOT, "README.md"), encoding="utf-8").read()
    return re.search(r"^## Your own PostgreSQL.*?(?=^## )", text, re.S | re.M).group(0)


def blocks(kind):
    return re.findall(r"^```%s\n(.*?)^```" % kind, section(), re.S | re.M)


def prepare(server):
    admin = server.admin()
    admin.execute("CREATE ROLE app LOGIN PASSWORD 'app'")
    admin.execute("CREATE DATABASE shop OWNER app")
    shop = server.admin(database="shop")
    shop.execute("GRANT ALL ON SCHEMA public TO app")
    shop.execute("SET ROLE app")
    shop.execute("CREATE TABLE orders(id int PRIMARY KEY, status text)")
    shop.execute("CREATE TABLE customers(id int PRIMARY KEY, name text)")
    shop.execute("INSERT INTO orders VALUES (1, 'new')")


def run_sql(server, text):
    """Statement by statement, as psql would: ALTER SYSTEM runs in no block."""
    connection = server.admin(database="shop")
    for statement in re.sub(r"--[^\n]*", "", text).split(";"):
        if statement.strip():
            connection.execute(statement)


def write_workspace(folder, server, more):
    for name in blocks("sh")[0].split("\n"):
        assert not name or name.startswith("build/tidegate"), name
    subprocess.run([PROGRAM, "init", "my-alerts"], cwd=folder, check=True, env=environment())
    source, rule = blocks("lua")
    assert "source(" in source and "rule(" in rule
    url = "postgresql://tidegate@localhost:%d/shop" % server.port
    assert "postgresql://tidegate@localhost/shop" in source
    source = source.replace("postgresql://tidegate@localhost/shop", url).replace(" })", ", password = \"change-me\"%s })" % more)
    with open(os.path.join(folder, "my-alerts/tidegate.lua"), "a", encoding="utf-8") as out:
        out.write(source)
    with open(os.path.join(folder, "my-alerts/scripts/example.lua"), "w", encoding="utf-8") as out:
        out.write(rule)


def command(words, folder, port):
    assert words in section(), words
    return [PROGRAM] + words.split()[1:], {"cwd": folder, "env": environment({"TIDEGATE_PORT": port})}


def alert(folder, server):
    port = free_port()
    words, more = command("build/tidegate check -C my-alerts", folder, port)
    checked = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    print(checked.stdout)
    assert checked.returncode == 0, "check ends with %d" % checked.returncode
    words, more = command("build/tidegate start my-alerts", folder, port)
    with open(os.path.join(folder, "terminal"), "wb") as out:
        running = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **more)
    try:
        def said(text):
            with open(os.path.join(folder, "terminal"), encoding="utf-8") as out:
                return text in out.read()
        slot = "SELECT count(*) FROM pg_replication_slots WHERE active"
        assert wait_until(lambda: server.admin().execute(slot)[0][0] == "1", 10), open(folder + "/terminal").read()
        update = re.search(r"`(UPDATE orders [^`]*)`", section()).group(1)
        server.admin(database="shop").execute(update)
        assert wait_until(lambda: said("order 1 is paid"), 5), open(folder + "/terminal").read()
    finally:
        running.terminate()
        assert running.wait(10) == 0


def remove(folder, server, named):
    """What it says of getting rid of everything."""
    assert "tidegate sources remove shop" in section()
    path = os.path.join(folder, "my-alerts/tidegate.lua")
    text = open(path, encoding="utf-8").read()
    with open(path, "w", encoding="utf-8") as out:
        out.write(re.sub(r"^source\(.*?\)\n", "", text, flags=re.M))
    os.remove(os.path.join(folder, "my-alerts/scripts/example.lua"))
    done = subprocess.run([PROGRAM, "sources", "remove", "shop", "-C", "my-alerts"], cwd=folder, env=environment(),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    assert done.returncode == 0, "sources remove ends with %d" % done.returncode
    shop = server.admin(database="shop")
    left = shop.execute("SELECT slot_name FROM pg_replication_slots") + shop.execute("SELECT pubname FROM pg_publication")
    assert left == ([["tidegate"]] if named else []), left


def follow(folder, way, more):
    os.makedirs(folder)
    os.chmod(folder, 0o711)
    with Postgres(os.path.join(folder, "server"), started=False) as server:
        del server.settings["wal_level"]  # as a fresh server has it
        server.start()
        prepare(server)
        sql = blocks("sql")
        assert len(sql) == 3
        run_sql(server, sql[0])
        server.restart()
        run_sql(server, sql[way])
        write_workspace(folder, server, more)
        alert(folder, server)
        remove(folder, server, named=bool(more))


def main():
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o711)
    try:
        follow(os.path.join(folder, "own"), 1, "")
        follow(os.path.join(folder, "named"), 2, ', publication = "tidegate"')
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("the README is true")


main()
