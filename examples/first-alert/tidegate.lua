source("shop", { driver = "sqlite", path = "shop.db" })

channel("alerts", { type = "file", path = "alerts.jsonl" })

-- Tidegate's own troubles go to the terminal.
channel("terminal", { type = "file", path = "-" })
