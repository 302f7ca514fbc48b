#!/bin/sh
# Healthy when the row that the first start wrote last can be read.
[ "$(mariadb --batch --skip-column-names -e 'SELECT 1 FROM squall_appliance.ready LIMIT 1')" = 1 ]
