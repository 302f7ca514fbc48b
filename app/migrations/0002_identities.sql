-- Who a user is at an OpenID Connect provider. Issuer and subject together name a person; an e-mail address may change hands.
CREATE TABLE identities (
    issuer VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    subject VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id INT UNSIGNED NOT NULL,
    created DATETIME(6) NOT NULL,
    PRIMARY KEY (issuer, subject),
    FOREIGN KEY (user_id) REFERENCES users (id)
) CHARACTER SET utf8mb4;
