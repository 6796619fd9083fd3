<?php
// Calls functions for two minutes.
function work_inner($n) { return $n > 0 ? work_inner($n - 1) : 0; }
for ($i = 0; $i < 1200; $i++) {
    work_inner(3);
    usleep(100000);
}
