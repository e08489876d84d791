rule("big-order", {
  on      = "shop:orders",
  ops     = { "insert" },
  where   = { amount = ge(1000) },
  notify  = { "alerts" },
  message = "order {{id}} for {{amount | number(2)}}",
})

on("shipped", "shop:orders", "update", function(e)
  if e:was("status", "paid") and e.new.status == "shipped" then
    send("alerts", { order = e.new.id, amount = e.new.amount, what = "shipped" })
  end
end)
