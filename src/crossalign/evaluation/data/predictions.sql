CREATE TABLE {0}_images (image TEXT PRIMARY KEY, class TEXT, content TEXT);
CREATE TABLE {0} (
    encoder TEXT, method TEXT, run TEXT, image TEXT, predicted TEXT, score TEXT,
    PRIMARY KEY (encoder, method, run, image)
) WITHOUT ROWID;
