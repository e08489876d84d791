-- tidegate.lua: what there is. Sources are databases, channels are where messages go.
-- `tidegate check` reads this file and says what is wrong; `tidegate start` runs it.

-- A SQLite database. Its tables are those that rules name; or list them: tables = { "orders", "c*" }
-- source("shop", { driver = "sqlite", path = "/path/to/shop.db" })

-- The terminal that `tidegate start` runs in.
channel("terminal", { type = "file", path = "-" })

-- One JSON object a line, in a file.
-- channel("out", { type = "file", path = "out.jsonl" })

-- POST to an address of yours.
-- channel("hook", { type = "webhook", url = "https://example.com/hook" })

-- What is not said here has a default: port 5858, events kept for 168 h and 10 GiB.
-- settings({ port = 5858, retention = { journal = "168h", journal_size = "10GiB" } })
