-- People, what they write, and the order in which it became visible to everybody.
CREATE TABLE users (
    id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT,
    name VARCHAR(40) NOT NULL UNIQUE,
    created DATETIME(6) NOT NULL
) CHARACTER SET utf8mb4;

-- client_id is made by the page: a form that is sent twice makes one entry.
CREATE TABLE entries (
    id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT,
    user_id INT UNSIGNED NOT NULL,
    client_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    text TEXT NOT NULL,
    created DATETIME(6) NOT NULL,
    UNIQUE KEY once (user_id, client_id),
    FOREIGN KEY (user_id) REFERENCES users (id)
) CHARACTER SET utf8mb4;

CREATE TABLE comments (
    id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT,
    entry_id BIGINT UNSIGNED NOT NULL,
    user_id INT UNSIGNED NOT NULL,
    client_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    text TEXT NOT NULL,
    created DATETIME(6) NOT NULL,
    UNIQUE KEY once (user_id, client_id),
    KEY by_entry (entry_id, id),
    FOREIGN KEY (entry_id) REFERENCES entries (id) ON DELETE CASCADE,
    FOREIGN KEY (user_id) REFERENCES users (id)
) CHARACTER SET utf8mb4;

CREATE TABLE likes (
    entry_id BIGINT UNSIGNED NOT NULL,
    user_id INT UNSIGNED NOT NULL,
    created DATETIME(6) NOT NULL,
    PRIMARY KEY (entry_id, user_id),
    FOREIGN KEY (entry_id) REFERENCES entries (id) ON DELETE CASCADE,
    FOREIGN KEY (user_id) REFERENCES users (id)
) CHARACTER SET utf8mb4;

-- The row of `sequences` is updated last in each writing transaction. Its lock makes the order of the numbers the order of the
-- commits, so whoever has seen number n has seen everything below it.
CREATE TABLE sequences (
    name VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    value BIGINT UNSIGNED NOT NULL
);
INSERT INTO sequences (name, value) VALUES ('events', 0);

CREATE TABLE events (
    seq BIGINT UNSIGNED PRIMARY KEY,
    kind ENUM('entry', 'comment', 'like') NOT NULL,
    entry_id BIGINT UNSIGNED NOT NULL,
    comment_id BIGINT UNSIGNED NULL,
    created DATETIME(6) NOT NULL
);
