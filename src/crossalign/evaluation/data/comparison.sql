-- Two evaluations side by side. `same_class` tells whether two names stand for one class.
CREATE TABLE old_images (image TEXT PRIMARY KEY, class TEXT, content TEXT);
CREATE TABLE new_images (image TEXT PRIMARY KEY, class TEXT, content TEXT);
CREATE TABLE old (
    encoder TEXT, method TEXT, run TEXT, image TEXT, predicted TEXT, score TEXT,
    PRIMARY KEY (encoder, method, run, image)
) WITHOUT ROWID;
CREATE TABLE new (
    encoder TEXT, method TEXT, run TEXT, image TEXT, predicted TEXT, score TEXT,
    PRIMARY KEY (encoder, method, run, image)
) WITHOUT ROWID;

-- Images that are not as they were, in order of `place`.
CREATE TEMP VIEW gone AS
SELECT image, image AS place FROM old_images WHERE image NOT IN (SELECT image FROM new_images);
CREATE TEMP VIEW added AS
SELECT image, rowid AS place FROM new_images WHERE image NOT IN (SELECT image FROM old_images);
CREATE TEMP VIEW changed AS
SELECT image, new_images.rowid AS place FROM new_images JOIN old_images USING (image)
WHERE new_images.content <> old_images.content;
CREATE TEMP VIEW relabelled AS
SELECT image, new_images.rowid AS place FROM new_images JOIN old_images USING (image)
WHERE NOT same_class(old_images.class, new_images.class);

-- What both predict of an image; `gap` is that of the scores where both have one.
CREATE TEMP VIEW pairs AS
SELECT
    image,
    old.predicted = new.predicted OR same_class(old.predicted, new.predicted) AS same,
    CASE WHEN old.score <> '' AND new.score <> '' THEN abs(old.score - new.score) END AS gap
FROM new JOIN old USING (encoder, method, run, image);
