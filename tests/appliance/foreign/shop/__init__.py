"""A Django project that knows nothing of Squall but its environment variables."""

import pymysql

pymysql.install_as_MySQLdb()
