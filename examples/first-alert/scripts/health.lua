-- What happens to Tidegate itself comes as rows of the source `tidegate`.
rule("health", {
  on      = "tidegate:main.*",
  notify  = { "terminal" },
  message = "Tidegate: {{table_name}} {{subject}}: {{reason}}",
})
