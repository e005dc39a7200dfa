import os

import psycopg2


def application(environ, start_response):
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    try:
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from notes")
            (count,) = cursor.fetchone()
    finally:
        connection.close()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{count} notes\n".encode()]
