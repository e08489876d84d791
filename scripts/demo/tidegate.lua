-- The demo's workspace: one database, one channel.
source("shop", { driver = "sqlite", path = "shop.db" })

channel("terminal", { type = "file", path = "-" })
