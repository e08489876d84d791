-- What a small shop wants to hear of. Change it, then run it again.

rule("big-order", {
  on      = "shop:orders",
  ops     = { "insert" },
  where   = { amount = ge(1000) },
  notify  = { "terminal" },
  message = "🔔 {{operation}} on {{table_name}}: order {{id}} for {{amount | number(2)}} ({{note | default(\"no note\")}})",
})

rule("stock-low", {
  on      = "shop:stock",
  ops     = { "update" },
  changed = { "quantity" },
  where   = { quantity = lt(10) },
  notify  = { "terminal" },
  message = "📦 only {{quantity}} × {{item | upper}} left (was {{old.quantity}})",
})

on("shipped", "shop:orders", "update", function(e)
  if e:was("status", "paid") and e.new.status == "shipped" then
    send("terminal", render("🚚 order {{id}} has left, {{amount | number(2)}}", e))
  end
end)

on("goodbye", "shop:orders", "delete", function(e)
  send("terminal", "🗑  order " .. e.old.id .. " was deleted")
end)
