# Calls procedures for two minutes.
proc called {n} { if {$n > 0} { called [expr {$n - 1}] } }
for {set i 0} {$i < 1200} {incr i} {
    called 3
    after 100
}
