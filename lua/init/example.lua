-- What to do. Each rule says which changes it wants and what happens then.
-- Take the dashes away once tidegate.lua has a source named "shop".

-- rule("big-orders", {
--   on      = "shop:orders",              -- source:table, with globs: "shop:*" is every table
--   ops     = { "insert", "update" },     -- also delete; without it all three
--   where   = { amount = gt(1000) },      -- gt ge lt le ne one_of; several are joined by AND
--   notify  = { "terminal" },
--   message = "{{operation}} {{table_name}} {{key}}: {{amount | number(2)}}",
-- })

-- on("shop:orders", "update", function(e)
--   if e:was("status", "packed") and e.new.status == "shipped" then
--     send("terminal", "order " .. e.new.id .. " has left")
--   end
-- end)
